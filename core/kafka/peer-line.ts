/**
 * The one line a worker writes on every connection its peer listener accepts, `incarnation SP memberId LF` in UTF-8.
 * A member id may hold spaces, because it begins with the client id; an incarnation never does.
 */
export interface PeerLine {
  readonly incarnation: string;
  readonly memberId: string;
}

/** With its LF. Member ids are the client id plus 37 bytes; a peer that says more before its LF is not one of ours. */
export const peerLineBytesMax = 512;

export function formatPeerLine(line: PeerLine): Buffer {
  return Buffer.from(`${line.incarnation} ${line.memberId}\n`);
}

/** The bytes before the LF; null: not such a line. */
export function parsePeerLine(bytes: Buffer): PeerLine | null {
  const text = bytes.toString('utf8');
  const space = text.indexOf(' ');
  if (space < 1 || space === text.length - 1) return null;
  return { incarnation: text.slice(0, space), memberId: text.slice(space + 1) };
}

/**
 * Both ends of such a connection. It may be silent for days; if the other machine vanished, it ends after this long plus
 * ten probes a second apart, and the file descriptor with it.
 */
export const peerSocketOptions = { noDelay: true, keepAlive: true, keepAliveInitialDelay: 15_000 };
