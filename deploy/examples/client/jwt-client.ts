import { bearerHeaders, createJwtSource } from 'finial/client';

// Fetches a page with a JWT-SVID. Arguments: URL, audience.
const [url = '', audience = ''] = process.argv.slice(2);

using source = await createJwtSource();
const { token } = await source.fetch({ audience });
// Without `insecure` a token is given to https only; here both ends are on one machine.
const response = await fetch(url, { headers: bearerHeaders(url, token, { insecure: true }) });
console.log(response.status, (await response.text()).trim());
