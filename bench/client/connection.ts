import { connect, type Socket } from 'node:net';

export interface Reply {
  readonly status: number;
  readonly body: string;
}

const HEAD_END = Buffer.from('\r\n\r\n');

/**
 * One keep-alive connection that carries one request at a time. Much cheaper than node:http, because on a machine that
 * client and server share every microsecond of the client is one the server does not have. Understands what the engine
 * sends: a Content-Length with every answer.
 */
export class Connection {
  readonly #socket: Socket;
  #received: Buffer[] = [];
  #length = 0;
  #waiting: { resolve(reply: Reply): void; reject(error: Error): void } | null = null;

  static open(host: string, port: number): Promise<Connection> {
    return new Promise((resolve, reject) => {
      const socket = connect({ host, port, noDelay: true });
      socket.once('error', reject);
      socket.once('connect', () => {
        socket.off('error', reject);
        resolve(new Connection(socket));
      });
    });
  }

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on('data', (chunk) => {
      this.#received.push(chunk);
      this.#length += chunk.length;
      this.#take();
    });
    socket.on('error', (error) => this.#fail(error));
    socket.on('close', () => this.#fail(new Error('the connection was closed')));
  }

  /** Sends a whole request and resolves with its answer. Rejects when the connection breaks. */
  request(...parts: readonly (string | Buffer)[]): Promise<Reply> {
    return new Promise((resolve, reject) => {
      this.#waiting = { resolve, reject };
      if (parts.length > 1) this.#socket.cork();
      for (const part of parts) this.#socket.write(part);
      if (parts.length > 1) this.#socket.uncork();
    });
  }

  close(): void {
    this.#waiting = null;
    this.#socket.destroy();
  }

  #take(): void {
    const first = this.#received[0];
    if (first === undefined) return;
    const all = this.#received.length === 1 ? first : Buffer.concat(this.#received, this.#length);
    if (this.#received.length > 1) this.#received = [all];
    const headEnd = all.indexOf(HEAD_END);
    if (headEnd < 0) return;
    const head = all.toString('latin1', 0, headEnd);
    const length = Number.parseInt(/\r\ncontent-length: *(\d+)/i.exec(head)?.[1] ?? '0', 10);
    const bodyStart = headEnd + HEAD_END.length;
    if (all.length < bodyStart + length) return;
    const reply: Reply = {
      status: Number.parseInt(head.slice(9, 12), 10),
      body: all.toString('utf8', bodyStart, bodyStart + length),
    };
    this.#received = [];
    this.#length = 0;
    const waiting = this.#waiting;
    this.#waiting = null;
    waiting?.resolve(reply);
  }

  #fail(error: Error): void {
    const waiting = this.#waiting;
    this.#waiting = null;
    waiting?.reject(error);
  }
}
