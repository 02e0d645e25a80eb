/** A file or a stream of a server's log, as its source tells of it. */
export interface LogFile {
  /** Whose files they are: names are unique in it, and the newest is the one that is written. */
  readonly stream: string;
  readonly name: string;
  /** Of the server; null where the source does not tell. */
  readonly endpointId: string | null;
}

/** How far a file was read: bytes of it, and where its source can be asked again. */
export interface LogCursor {
  readonly offset: number;
  readonly marker: string | null;
  /** Bytes before the marker. */
  readonly markerOffset: number;
}

/** What a source can be asked for again, and how many bytes stand before it. */
export interface LogMark {
  readonly marker: string;
  readonly offset: number;
}

export interface LogPiece {
  /** They begin at the cursor's offset. */
  readonly bytes: Uint8Array;
  /** There is no more now. */
  readonly atEnd: boolean;
  /** Places within it where the source can be asked again, the earliest first; none: by offset. */
  readonly marks: readonly LogMark[];
}

/** Where a log comes from. What it cannot read is a DomainError. */
export interface LogSource {
  /** Whether it asks for a stream: those of what the target was set to before are none of its. */
  owns(stream: string): boolean;
  /** What is there now, of each stream the oldest first. */
  files(): Promise<readonly LogFile[]>;
  /** @param most bytes that are wanted at the most; a source that cannot choose gives a little more */
  read(file: LogFile, from: LogCursor, most: number): Promise<LogPiece>;
  /**
   * SHA-256 of the first bytes, which tell a file from another that got its name; a source whose names are used once has none.
   * @returns undefined while the file is shorter
   */
  head?(file: LogFile, length: number): Promise<string | undefined>;
}

/** The cursor at an offset of a piece that was read. */
export function cursorAt(offset: number, from: LogCursor, marks: readonly LogMark[]): LogCursor {
  const mark = marks.findLast((known) => known.offset <= offset);
  return mark ? { offset, marker: mark.marker, markerOffset: mark.offset } : { ...from, offset };
}
