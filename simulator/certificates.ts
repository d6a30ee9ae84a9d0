import { generate } from 'selfsigned';

/**
 * Certificates for devices that are not real: one authority, what it signs for servers and clients, and the bad ones that
 * tests need. Elliptic-curve keys, because a fleet's start must not wait for RSA.
 */
export interface CertificatePair {
  readonly cert: string;
  readonly key: string;
}

export interface CertificateAuthority extends CertificatePair {
  readonly name: string;
}

export interface CertificateRequest {
  readonly authority: CertificateAuthority;
  readonly commonName: string;
  readonly usage: 'server' | 'client';
  readonly notBefore: Date;
  readonly notAfter: Date;
  /** Names and addresses the certificate is good for; the loopback ones if left out. */
  readonly dnsNames?: readonly string[];
  readonly addresses?: readonly string[];
}

const keys = { keyType: 'ec', curve: 'P-256', algorithm: 'sha256' } as const;
const dayMs = 86_400_000;

export async function createAuthority(name: string, nowMs: number): Promise<CertificateAuthority> {
  const made = await generate([{ name: 'commonName', value: name }], {
    ...keys,
    notBeforeDate: new Date(nowMs - dayMs),
    notAfterDate: new Date(nowMs + 3650 * dayMs),
    extensions: [
      { name: 'basicConstraints', cA: true, critical: true },
      { name: 'keyUsage', keyCertSign: true, cRLSign: true, critical: true },
    ],
  });
  return { name, cert: made.cert, key: made.private };
}

export async function createCertificate(request: CertificateRequest): Promise<CertificatePair> {
  const { authority, dnsNames = ['localhost'], addresses = ['127.0.0.1', '::1'] } = request;
  const made = await generate([{ name: 'commonName', value: request.commonName }], {
    ...keys,
    notBeforeDate: request.notBefore,
    notAfterDate: request.notAfter,
    ca: { key: authority.key, cert: authority.cert },
    extensions: [
      { name: 'basicConstraints', cA: false },
      { name: 'keyUsage', digitalSignature: true, critical: true },
      { name: 'extKeyUsage', serverAuth: request.usage === 'server', clientAuth: request.usage === 'client' },
      {
        name: 'subjectAltName',
        altNames: [
          ...dnsNames.map((value) => ({ type: 2 as const, value })),
          ...addresses.map((ip) => ({ type: 7 as const, ip })),
        ],
      },
    ],
  });
  return { cert: made.cert, key: made.private };
}

/** What a fleet with TLS is given, and what its tests take the faults from. */
export interface FleetCertificates {
  readonly authority: CertificateAuthority;
  readonly server: CertificatePair;
  readonly client: CertificatePair;
  /** Signed by the same authority, valid until yesterday. */
  readonly expiredServer: CertificatePair;
  /** Valid, but for another name. */
  readonly misnamedServer: CertificatePair;
  /** Valid in itself, from an authority nobody was given. */
  readonly untrustedServer: CertificatePair;
}

export async function createFleetCertificates(
  nowMs: number,
  names: { readonly dnsNames?: readonly string[]; readonly addresses?: readonly string[] } = {},
): Promise<FleetCertificates> {
  const authority = await createAuthority('Holdfast simulator CA', nowMs);
  const stranger = await createAuthority('Somebody else', nowMs);
  const valid = { notBefore: new Date(nowMs - dayMs), notAfter: new Date(nowMs + 365 * dayMs) };
  const past = { notBefore: new Date(nowMs - 10 * dayMs), notAfter: new Date(nowMs - dayMs) };
  const server = { authority, commonName: 'simulated device', usage: 'server' as const, ...names };
  return {
    authority,
    server: await createCertificate({ ...server, ...valid }),
    client: await createCertificate({ authority, commonName: 'collector', usage: 'client', ...valid }),
    expiredServer: await createCertificate({ ...server, ...past }),
    misnamedServer: await createCertificate({ ...server, ...valid, dnsNames: ['elsewhere.example'], addresses: [] }),
    untrustedServer: await createCertificate({ ...server, ...valid, authority: stranger }),
  };
}
