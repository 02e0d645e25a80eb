import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';

/** The road to a server, which can be closed: as good as a server that is down, and much cheaper. */
export interface Gate {
  readonly port: number;
  readonly open: boolean;
  /** Cuts all who are on the road; from now on the port refuses. */
  shut(): Promise<void>;
  /** Open again, at the same port. */
  reopen(): Promise<void>;
}

/** @param to port of the server, on loopback */
export async function openGate(to: number): Promise<Gate> {
  const travellers = new Set<Socket>();
  const track = (socket: Socket): Socket => {
    travellers.add(socket);
    socket.setNoDelay();
    socket.on('error', () => socket.destroy());
    socket.once('close', () => travellers.delete(socket));
    return socket;
  };
  const listen = async (port: number): Promise<Server> => {
    const server = createServer((client) => {
      const [near, far] = [track(client), track(connect(to, '127.0.0.1'))];
      near.pipe(far).pipe(near);
      near.once('close', () => far.destroy());
      far.once('close', () => near.destroy());
    });
    server.listen(port, '127.0.0.1');
    await once(server, 'listening');
    return server;
  };
  let server: Server | undefined = await listen(0);
  const { port } = server.address() as AddressInfo;
  return {
    port,
    get open() {
      return server !== undefined;
    },
    shut: async () => {
      const closing = server;
      server = undefined;
      if (!closing) return;
      const closed = once(closing, 'close');
      closing.close();
      for (const socket of travellers) socket.destroy();
      await closed;
    },
    reopen: async () => {
      server ??= await listen(port);
    },
  };
}
