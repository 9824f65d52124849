import { createHmac, timingSafeEqual } from "node:crypto";

// The event of a request, or an Error: answer 400. `body` is the body as it came, a Buffer or a string.
export function receive(secret, headers, body, now = Date.now() / 1000) {
  const { "webhook-id": id, "webhook-timestamp": timestamp, "webhook-signature": signatures } = headers;
  if (!(Math.abs(now - Number(timestamp)) < 300)) throw new Error("too old, or a clock is wrong");
  const key = Buffer.from(secret.slice("whsec_".length), "base64");
  const signed = createHmac("sha256", key).update(`${id}.${timestamp}.`).update(body).digest();
  // While a secret is rotated there are two signatures.
  const matches = signatures.split(" ").some((signature) => {
    const given = Buffer.from(signature.slice("v1,".length), "base64");
    return signature.startsWith("v1,") && given.length === signed.length && timingSafeEqual(given, signed);
  });
  if (!matches) throw new Error("not signed with this secret");
  return JSON.parse(body);
}
