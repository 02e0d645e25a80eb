// The load generator, in a process of its own: `process.send({ requests, seconds, errors, times })` for each job that comes by IPC.
// The bearer token comes by IPC too: an argument could be read by everybody on the machine.
import autocannon from 'autocannon';

process.on('message', async ({ url, authorization, body, connections, seconds, amount }) => {
  const times = [];
  const load = autocannon({
    url,
    method: 'POST',
    headers: { authorization, 'content-type': 'application/json' },
    body,
    connections,
    ...(amount === undefined ? { duration: seconds } : { amount }),
  });
  let failed = 0;
  load.on('response', (_client, status, _bytes, milliseconds) => {
    times.push(milliseconds);
    if (status < 200 || status > 299) failed += 1;
  });
  const { errors, duration } = await load;
  process.send({ requests: times.length - failed, seconds: duration, errors: errors + failed, times });
});
process.once('disconnect', () => process.exit());
