import { describe, expect, it } from 'vitest';
import { decodeJournal, encodeJournal } from './codec.ts';
import type { JournalEntries } from './record.ts';

const entries: JournalEntries = {
  x509: [
    {
      slotId: 'A',
      issuedAt: 1_767_225_600,
      notAfter: 1_767_312_000,
      authorityId: '0a0b',
      status: 'old',
      certificate: Buffer.from('certificate'),
      upstreamChain: [],
      upstreamAuthorityId: '',
    },
    {
      slotId: 'B',
      issuedAt: 1_767_225_700,
      notAfter: 4_294_967_296,
      authorityId: '0c0d',
      status: 'active',
      certificate: Buffer.from('intermediate'),
      upstreamChain: [Buffer.from('intermediate'), Buffer.from('its issuer')],
      upstreamAuthorityId: '0e0f',
    },
  ],
  jwt: [
    {
      slotId: 'A',
      issuedAt: 1,
      notAfter: 2,
      authorityId: 'kid1',
      status: 'prepared',
      keyId: 'kid1',
      publicKey: Buffer.from('spki'),
    },
  ],
  wit: [
    {
      slotId: 'B',
      issuedAt: 3,
      notAfter: 4,
      authorityId: 'kid2',
      status: undefined,
      keyId: 'kid2',
      publicKey: Buffer.from('other'),
    },
  ],
};

describe('the journal on the wire', () => {
  it('comes back as it was written', () => {
    expect(decodeJournal(encodeJournal(entries))).toEqual(entries);
  });

  it('has the field numbers of the reference and leaves defaults out', () => {
    const [jwt] = entries.jwt;
    const bytes = encodeJournal({ x509: [], jwt: jwt === undefined ? [] : [jwt], wit: [] });
    // jwtKeys = 2 { slot_id 1 "A", issued_at 2, not_after 3, kid 4, public_key 5, status 6 PREPARED = 2, authority_id 7 }
    expect(bytes.toString('hex')).toBe('121b0a01411001180222046b6964312a0473706b6930023a046b696431');
    expect(encodeJournal({ x509: [], jwt: [], wit: entries.wit }).includes(Buffer.from([0x30]))).toBe(false);
  });

  it('is refused when it is torn', () => {
    expect(() => decodeJournal(encodeJournal(entries).subarray(0, 20))).toThrow(
      'unable to unmarshal entries from CA journal record',
    );
  });
});
