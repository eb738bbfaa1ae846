import { connect, createServer } from 'node:net';
import type { AddressInfo, Server, Socket } from 'node:net';

/** A way to the engine on which some answers are lost after the engine has done its work. */
export interface LossyProxy {
  readonly url: string;
  /** How many answers have been lost so far. */
  lost(): number;
  close(): Promise<void>;
}

/** Forwards to a loopback port; every `lossEvery`th answer never arrives, and its connection ends. */
export async function startLossyProxy(port: number, lossEvery: number): Promise<LossyProxy> {
  let answers = 0;
  let lost = 0;
  const open = new Set<Socket>();
  const server = createServer((client) => {
    const engine = connect(port, '127.0.0.1');
    const end = (): void => {
      client.destroy();
      engine.destroy();
    };
    for (const socket of [client, engine]) {
      open.add(socket);
      socket.on('error', end);
      socket.on('close', () => {
        open.delete(socket);
        end();
      });
    }
    client.on('data', (request) => engine.write(request));
    engine.on('data', (answer) => {
      // Small answers come in one piece.
      answers += 1;
      if (answers % lossEvery !== 0) {
        client.write(answer);
        return;
      }
      lost += 1;
      end();
    });
  });
  await listen(server);
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    lost: () => lost,
    close() {
      for (const socket of open) socket.destroy();
      return new Promise((resolve) => {
        server.close(() => {
          resolve();
        });
      });
    },
  };
}

function listen(server: Server): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', resolve);
  });
}
