import { authorizeId, createX509Source, tlsClientOptions } from 'finial/client';
import { Pool } from 'pg';

// Asks a PostgreSQL server, logging in by X509-SVID and without a password. The server lets in whoever has a
// certificate whose common name is the user, which is the first DNS name of the registration entry (-dns).
// Arguments: port, user, the SPIFFE ID of the server.
const [port = '', user = '', server = ''] = process.argv.slice(2);

using source = await createX509Source();
// Read anew for each connection of the pool, so connections made after a rotation present the new SVID.
const ssl = tlsClientOptions(source, { authorize: authorizeId(server) });
const pool = new Pool({ host: '127.0.0.1', port: Number(port), user, database: 'postgres', ssl });
const { rows } = await pool.query<{ current_user: string }>('SELECT current_user');
console.log(`logged in as ${rows[0]?.current_user}`);
await pool.end();
