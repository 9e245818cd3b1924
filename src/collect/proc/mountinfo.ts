import { unexpected } from "./numbers.ts";

/** One line of /proc/<pid>/mountinfo. */
export interface Mount {
  /** `major:minor` of the superblock: the same for every mount of one filesystem. */
  readonly deviceNumber: string;
  /** Which directory of the filesystem is mounted; `/` unless it is a bind mount or a subvolume. */
  readonly root: string;
  readonly mountPoint: string;
  /** As the kernel names it: `ext4`, `nfs4`, `fuse.sshfs`. */
  readonly type: string;
  readonly device: string;
  readonly readOnly: boolean;
}

/** The kernel writes space, tab, newline and backslash (and lately #) as three octal digits. */
function unescapeOctal(word: string): string {
  return word.replaceAll(/\\([0-7]{3})/g, (_, digits: string) =>
    String.fromCharCode(parseInt(digits, 8)),
  );
}

/** 36 35 98:0 /mnt1 /mnt2 rw,noatime shared:1 - ext3 /dev/root rw,errors=continue: see proc_pid_mountinfo(5). */
const mountLine =
  /^\d+ \d+ (?<number>\d+:\d+) (?<root>[^ ]+) (?<at>\/[^ ]*) (?<options>[^ ]+)(?: (?!- )[^ ]+)* - (?<type>[^ ]+) (?<device>[^ ]*) (?<more>[^]*)$/;

function parseLine(line: string): Mount {
  const {
    number = "",
    root = "",
    at = "",
    options,
    type = "",
    device = "",
    more,
  } = mountLine.exec(line)?.groups ?? {};
  if (number === "") throw unexpected("mountinfo", "a line as in proc_pid_mountinfo(5)", line);
  return {
    deviceNumber: number,
    root: unescapeOctal(root),
    mountPoint: unescapeOctal(at),
    type,
    device: unescapeOctal(device),
    readOnly: `${options},${more}`.split(",").includes("ro"),
  };
}

/** Reads a mountinfo file, in its order. Throws PROC_UNREADABLE on a garbled line or when there is none. */
export function parseMountInfo(text: string): readonly Mount[] {
  const lines = text.split("\n").filter((line) => line !== "");
  if (lines.length === 0) throw unexpected("mountinfo", "at least one mount", text);
  return lines.map(parseLine);
}
