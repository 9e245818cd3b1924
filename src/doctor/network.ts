/** Codes and words of the system, and what mends what they say; the first that fits. */
const fixes: readonly (readonly [RegExp, (where: string) => string])[] = [
  [
    /ENOTFOUND|EAI_AGAIN|EDNS/,
    (where) =>
      `the name does not resolve here: correct ${where}, or mend DNS (in a Pod: dnsPolicy)`,
  ],
  [/ECONNREFUSED/, (where) => `nothing listens there: start it, or correct ${where}`],
  [
    /certificate|CERT|self.signed|SSL|TLS|EPROTO|UNABLE_TO_/i,
    (where) =>
      `trust its authority (ca_file; NODE_EXTRA_CA_CERTS for robots and the admin server), or correct ${where} and this node's clock`,
  ],
  [
    /ETIMEDOUT|EHOSTUNREACH|ENETUNREACH|no (?:whole )?answer|timed? ?out/i,
    (where) => `no way there: correct ${where}, or open firewall and NetworkPolicy (egress)`,
  ],
];

/** What mends a connection that failed for a reason; `where` names the settings that say where it goes. */
export function networkFix(reason: string, where: string): string {
  const found = fixes.find(([words]) => words.test(reason));
  return found === undefined ? `correct ${where}` : found[1](where);
}
