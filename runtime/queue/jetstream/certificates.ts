/**
 * A cluster's own certificate authority and the certificates it gives to seats and nodes, made without any program
 * or package: ECDSA on P-256, good for both ends of a connection. RFC 5280.
 */
import { createHash, createPrivateKey, generateKeyPairSync, randomBytes, sign, X509Certificate } from "node:crypto";
import { isIP, isIPv4, SocketAddress } from "node:net";
import { bits, explicit, implicit, integer, octets, oid, sequence, set, text, time, truth } from "./der.ts";

/** A certificate and its private key, as PEM. */
export interface Certified {
  cert: string;
  key: string;
}

const oids = {
  commonName: "2.5.4.3",
  subjectKey: "2.5.29.14",
  keyUsage: "2.5.29.15",
  alternativeNames: "2.5.29.17",
  constraints: "2.5.29.19",
  authorityKey: "2.5.29.35",
  extendedUsage: "2.5.29.37",
  serverAuth: "1.3.6.1.5.5.7.3.1",
  clientAuth: "1.3.6.1.5.5.7.3.2",
  ecdsaWithSha256: "1.2.840.10045.4.3.2",
} as const;

/** Fields of a name that a certificate is for. */
const nameFields = { dns: 2, address: 7 } as const;
const digitalSignature = { byte: 0x80, unused: 7 } as const;
const certAndCrlSign = { byte: 0x06, unused: 1 } as const;
const yearsValid = 10;
/** Clocks of machines differ. */
const earlierMs = 24 * 3_600_000;
const pointBytes = 65;

export function makeAuthority(name: string): Certified {
  return make(name, undefined, [
    extension(oids.constraints, sequence(truth()), true),
    extension(oids.keyUsage, bits(Buffer.from([certAndCrlSign.byte]), certAndCrlSign.unused), true),
  ]);
}

/** `names`: the host names and addresses under which its owner is reached. */
export function makeCertificate(authority: Certified, name: string, names: readonly string[]): Certified {
  return make(name, authority, [
    extension(oids.constraints, sequence(), true),
    extension(oids.keyUsage, bits(Buffer.from([digitalSignature.byte]), digitalSignature.unused), true),
    extension(oids.extendedUsage, sequence(oid(oids.serverAuth), oid(oids.clientAuth))),
    ...(names.length > 0 ? [extension(oids.alternativeNames, sequence(...names.map(alternativeName)))] : []),
  ]);
}

function make(name: string, authority: Certified | undefined, extensions: Buffer[]): Certified {
  const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const key = publicKey.export({ type: "spki", format: "der" });
  const issuer = authority && new X509Certificate(authority.cert);
  const issuerKey = issuer?.publicKey.export({ type: "spki", format: "der" }) ?? key;
  const signer = authority ? createPrivateKey(authority.key) : privateKey;
  const algorithm = sequence(oid(oids.ecdsaWithSha256));
  const serial = randomBytes(16);
  serial[0] = (serial[0]! & 0x7f) | 0x40;
  const until = new Date();
  until.setUTCFullYear(until.getUTCFullYear() + yearsValid);
  const version3 = explicit(0, integer(Buffer.from([2])));
  const body = sequence(
    version3,
    integer(serial),
    algorithm,
    distinguishedName(issuer?.subject.replace(/^CN=/, "") ?? name),
    sequence(time(new Date(Date.now() - earlierMs)), time(until)),
    distinguishedName(name),
    key,
    explicit(
      3,
      sequence(
        ...extensions,
        extension(oids.subjectKey, octets(keyId(key))),
        extension(oids.authorityKey, sequence(implicit(0, keyId(issuerKey)))),
      ),
    ),
  );
  const certificate = sequence(body, algorithm, bits(sign("sha256", body, signer)));
  const lines = certificate.toString("base64").replace(/.{64}(?=.)/g, "$&\n");
  return {
    cert: `-----BEGIN CERTIFICATE-----\n${lines}\n-----END CERTIFICATE-----\n`,
    key: privateKey.export({ type: "pkcs8", format: "pem" }).toString(),
  };
}

function distinguishedName(name: string): Buffer {
  return sequence(set(sequence(oid(oids.commonName), text(name))));
}

function extension(id: string, value: Buffer, critical = false): Buffer {
  return sequence(oid(id), ...(critical ? [truth()] : []), octets(value));
}

function alternativeName(name: string): Buffer {
  if (isIP(name) === 0) return implicit(nameFields.dns, Buffer.from(name));
  return implicit(nameFields.address, isIPv4(name) ? Buffer.from(name.split(".").map(Number)) : ipv6Bytes(name));
}

function ipv6Bytes(address: string): Buffer {
  // The system's own spelling has no dotted end but for mapped addresses, and at most one gap.
  const plain = new SocketAddress({ address, family: "ipv6" }).address.replace(
    /(\d+)\.(\d+)\.(\d+)\.(\d+)$/,
    (_, ...parts: string[]) => {
      const [a, b, c, d] = parts.map(Number) as [number, number, number, number];
      return `${((a << 8) | b).toString(16)}:${((c << 8) | d).toString(16)}`;
    },
  );
  const [head, tail] = plain.split("::").map((half) => (half === "" ? [] : half.split(":")));
  const gap = tail ? new Array<string>(8 - head!.length - tail.length).fill("0") : [];
  const bytes = Buffer.alloc(16);
  [...head!, ...gap, ...(tail ?? [])].forEach((group, i) => bytes.writeUInt16BE(Number.parseInt(group, 16), 2 * i));
  return bytes;
}

function keyId(spki: Buffer): Buffer {
  return createHash("sha1").update(spki.subarray(-pointBytes)).digest();
}
