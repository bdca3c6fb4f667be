// A PostgreSQL server with pgvector, in WebAssembly and in memory, for tests. Says "listening on PORT"; ends with its
// standard input, so that none is left when a test is killed.
//
//     npm ci && node server.mjs [PORT]

import { PGlite } from '@electric-sql/pglite'
import { vector } from '@electric-sql/pglite-pgvector'
import { PGLiteSocketServer } from '@electric-sql/pglite-socket'

const db = await PGlite.create({ extensions: { vector } })
// One session behind all connections: they take turns between transactions.
const server = new PGLiteSocketServer({ db, host: '127.0.0.1', port: Number(process.argv[2] ?? 0), maxConnections: 8 })
server.addEventListener('listening', (event) => console.log(`listening on ${event.detail.port}`))
await server.start()
process.stdin.on('end', () => process.exit()).resume()
