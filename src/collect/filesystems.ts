/** One real mount, as the host sees it. */
export interface Filesystem {
  readonly device: string;
  readonly mountPoint: string;
  readonly type: string;
  readonly readOnly: boolean;
  /** Sizes by `statfs`; null when they could not be had. */
  readonly usage: FilesystemUsage | null;
  /** Why not: `no answer in 2 s`, `EACCES`, `waiting for a free lane`; null when they could. */
  readonly error: string | null;
}

export interface FilesystemUsage {
  readonly sizeBytes: number;
  /** Free, the part reserved for root included. */
  readonly freeBytes: number;
  /** Free to ordinary users. */
  readonly availableBytes: number;
  readonly files: number;
  readonly filesFree: number;
}
