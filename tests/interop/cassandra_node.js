// The Node.js driver, unmodified: `node cassandra_node.js PORT` with cassandra-driver in NODE_PATH.
'use strict';
const assert = require('assert');
const cassandra = require('cassandra-driver');

async function main() {
  const client = new cassandra.Client({ contactPoints: ['127.0.0.1'], protocolOptions: { port: Number(process.argv[2]) }, localDataCenter: 'datacenter1' });
  await client.connect();
  await client.execute('DROP KEYSPACE IF EXISTS nodeks');
  await client.execute("CREATE KEYSPACE nodeks WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1}");
  await client.execute('CREATE TABLE nodeks.t (k int, c bigint, v text, l list<int>, m map<text, double>, u uuid, ts timestamp, d decimal, PRIMARY KEY (k, c))');
  const u = cassandra.types.Uuid.random();
  const at = new Date(1500000000000);
  const insert = 'INSERT INTO nodeks.t (k, c, v, l, m, u, ts, d) VALUES (?, ?, ?, ?, ?, ?, ?, ?)';
  const d = cassandra.types.BigDecimal.fromString('1.50');
  await Promise.all(Array.from({ length: 1200 }, (_, i) =>
    client.execute(insert, [1, cassandra.types.Long.fromNumber(i), `v${i}`, [i, 2], { a: 0.5 }, u, at, d], { prepare: true })));
  const one = (await client.execute('SELECT * FROM nodeks.t WHERE k = ? AND c = ?', [1, 7], { prepare: true })).first();
  assert.strictEqual(one.v, 'v7');
  assert.deepStrictEqual(one.l, [7, 2]);
  assert.deepStrictEqual(one.m, { a: 0.5 });
  assert.ok(one.u.equals(u));
  assert.strictEqual(one.ts.getTime(), at.getTime());
  assert.strictEqual(one.d.toString(), '1.50');
  let rows = 0;
  for await (const row of client.stream('SELECT * FROM nodeks.t', [], { prepare: true, fetchSize: 100, autoPage: true })) { assert.strictEqual(row.k, 1); rows++; }
  assert.strictEqual(rows, 1200);
  await client.batch([{ query: 'UPDATE nodeks.t SET v = ? WHERE k = 1 AND c = 7', params: ['batched'] }, { query: 'DELETE FROM nodeks.t WHERE k = 1 AND c = 8' }], { prepare: true });
  assert.strictEqual((await client.execute('SELECT v FROM nodeks.t WHERE k = 1 AND c = 7')).first().v, 'batched');
  assert.strictEqual((await client.execute('INSERT INTO nodeks.t (k, c) VALUES (1, 7) IF NOT EXISTS')).wasApplied(), false);
  const table = await client.metadata.getTable('nodeks', 't');
  assert.deepStrictEqual(table.partitionKeys.map((c) => c.name), ['k']);
  assert.strictEqual(table.columns.length, 8);
  await assert.rejects(client.execute('SELECT * FROM nodeks.nope'), (e) => e.code === 0x2200);
  await client.execute('DROP KEYSPACE nodeks');
  await client.shutdown();
  console.log('ok');
}
main().catch((e) => { console.error(e); process.exit(1); });
