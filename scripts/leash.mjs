// Preloaded into what run.mjs starts: ends it when run.mjs is gone, killed with -9 included.
if (process.channel) {
  process.once('disconnect', () => {
    process.kill(process.pid, 'SIGTERM');
    setTimeout(() => process.exit(1), 20_000).unref();
  });
  process.channel.unref();
}
