import https from 'node:https';
import { authorizeId, createX509Source, httpsAgent } from 'finial/client';

// Calls a server over mutual TLS, whatever its host is named. Arguments: its URL, its SPIFFE ID.
const [url = '', expected = ''] = process.argv.slice(2);

using source = await createX509Source();
const agent = httpsAgent(source, { authorize: authorizeId(expected) });
const response = await new Promise<NodeJS.ReadableStream>((resolve, reject) => {
  https.get(url, { agent }, resolve).on('error', reject);
});
for await (const part of response) process.stdout.write(part);
