import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";

export interface TlsFiles {
  /** The authority's certificate, PEM. */
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
}

const localNames = "DNS:localhost,IP:127.0.0.1,IP:::1";
const keyArguments = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];

/**
 * Makes an authority and a certificate of its for localhost and 127.0.0.1, with the `openssl` command. `expired`: it
 * was valid for one day, years ago. `names`: whom it is for instead.
 */
export function makeTls(options: { expired?: boolean; names?: string } = {}): TlsFiles {
  const dir = mkdtempSync(path.join(tmpdir(), "targetvpc-tls-"));
  const file = (name: string): string => path.join(dir, name);
  const openssl = (args: string[]): void => {
    execFileSync("openssl", args, { stdio: "pipe" });
  };
  try {
    openssl([
      "req",
      "-x509",
      ...keyArguments,
      "-days",
      "2",
      "-subj",
      "/CN=Test Authority",
      "-keyout",
      file("ca.key"),
      "-out",
      file("ca.pem"),
    ]);
    openssl([
      "req",
      "-new",
      ...keyArguments,
      "-subj",
      "/CN=localhost",
      "-addext",
      `subjectAltName=${options.names ?? localNames}`,
      "-keyout",
      file("server.key"),
      "-out",
      file("server.csr"),
    ]);
    const dates =
      options.expired === true
        ? ["-startdate", "20200101000000Z", "-enddate", "20200102000000Z"]
        : ["-days", "2"];
    writeFileSync(file("index.txt"), "");
    writeFileSync(
      file("ca.cnf"),
      [
        "[ca]",
        "default_ca=this",
        "[this]",
        `database=${file("index.txt")}`,
        `new_certs_dir=${dir}`,
        "rand_serial=yes",
        "default_md=sha256",
        "policy=any",
        "copy_extensions=copy",
        "[any]",
        "commonName=supplied",
        "",
      ].join("\n"),
    );
    openssl([
      "ca",
      "-batch",
      "-config",
      file("ca.cnf"),
      "-cert",
      file("ca.pem"),
      "-keyfile",
      file("ca.key"),
      "-in",
      file("server.csr"),
      "-out",
      file("server.pem"),
      "-notext",
      ...dates,
    ]);
    const text = (name: string): string => readFileSync(file(name), "utf8");
    return { ca: text("ca.pem"), cert: text("server.pem"), key: text("server.key") };
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

/** Where the files of `makeTls` were written. */
export interface TlsPaths {
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
}

/** Writes the files into a directory. */
export function writeTls(files: TlsFiles, dir: string): TlsPaths {
  const at = (name: string, text: string): string => {
    const file = path.join(dir, `${name}.pem`);
    writeFileSync(file, text);
    return file;
  };
  return { ca: at("ca", files.ca), cert: at("cert", files.cert), key: at("key", files.key) };
}

/** The files' contents. */
export function readTls({ ca, cert, key }: TlsPaths): TlsFiles {
  const [first, second, third] = [ca, cert, key].map((file) => readFileSync(file, "utf8"));
  return { ca: first!, cert: second!, key: third! };
}

/** How a `redis-server` is told of them. */
export function tlsArguments({ ca, cert, key }: TlsPaths): string[] {
  return ["--tls-ca-cert-file", ca, "--tls-cert-file", cert, "--tls-key-file", key];
}
