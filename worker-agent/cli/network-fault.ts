/** Why an edge cannot be reached, and what mends it. */
export interface NetworkFault {
  readonly found: string;
  readonly remedy: string;
}

/**
 * What a failed request of Node's means: its reason is a code somewhere down the chain of causes
 * (Node's errors.html, and OpenSSL's names of what is wrong with a certificate).
 */
export function networkFault(edge: URL, error: unknown): NetworkFault {
  const { code, message } = rootOf(error);
  const { host, hostname } = edge;
  if (["ENOTFOUND", "EAI_AGAIN", "EAI_FAIL", "ENODATA"].includes(code)) {
    const found = `the name ${hostname} cannot be resolved (${code})`;
    return { found, remedy: "check --edge for a typing error, and this machine's DNS" };
  }
  if (code === "ECONNREFUSED") {
    const found = `${host} refuses connections`;
    return { found, remedy: "check --edge and its port; a local network is started by npm start" };
  }
  if (isOfTls(code, message)) {
    const found = `no secure connection to ${host}: ${message}`;
    const remedy =
      "set the clock; behind a company's proxy name its certificate in NODE_EXTRA_CA_CERTS; " +
      "an edge without TLS is named by http://";
    return { found, remedy };
  }
  const isUnreachable = ["ENETUNREACH", "EHOSTUNREACH", "ENETDOWN", "EADDRNOTAVAIL"].includes(code);
  if (isUnreachable) {
    return { found: `there is no way to ${host} (${code})`, remedy: "check the network's cable" };
  }
  if (/TIMEDOUT|TIMEOUT/.test(code) || message.includes("timeout")) {
    const found = `${host} does not answer in time`;
    return { found, remedy: "let this machine's firewall pass it, and check --edge" };
  }
  if (["ECONNRESET", "UND_ERR_SOCKET", "EPIPE"].includes(code)) {
    const found = `${host} ends connections at once (${code})`;
    return {
      found,
      remedy: "something between cuts them: a firewall, a proxy, or another program",
    };
  }
  const found = `${host} cannot be reached: ${message || code || "no reason is told"}`;
  return { found, remedy: "check --edge, and that this machine's firewall lets it out" };
}

const certificateCodes =
  /^(CERT_|ERR_TLS_|ERR_SSL_|UNABLE_TO_|DEPTH_ZERO_|SELF_SIGNED_|HOSTNAME_MISMATCH|EPROTO)/;

function isOfTls(code: string, message: string): boolean {
  return certificateCodes.test(code) || /\b(tls|ssl|certificate)\b/i.test(message);
}

/** Errors wrap each other, and a host of several addresses fails once for each. */
function rootOf(error: unknown): { readonly code: string; readonly message: string } {
  let at: unknown = error;
  let code = "";
  let message = "";
  for (let depth = 0; depth < 8 && at instanceof Error; depth++) {
    if ("code" in at && typeof at.code === "string") code = at.code;
    else if (at.name === "TimeoutError") code = "TIMEOUT";
    if (at.message !== "") message = at.message;
    at = at instanceof AggregateError ? at.errors[0] : at.cause;
  }
  return { code, message: message.split("\n")[0]?.slice(0, 200) ?? "" };
}
