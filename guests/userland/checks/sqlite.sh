# sqlite3: transactions, indexes, doubles, text, windows, JSON, and its own integrity check.

sqlite3 -batch db <<'SQL'
PRAGMA page_size = 4096;
CREATE TABLE t(id INTEGER PRIMARY KEY, n INTEGER, x REAL, s TEXT);
BEGIN;
WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < 20000)
INSERT INTO t SELECT i, i * i % 9973, i / 7.0, printf('name %05d', i * 7919 % 20011) FROM c;
COMMIT;
CREATE INDEX by_n ON t(n);
CREATE INDEX by_s ON t(s, x DESC);
SELECT count(*), sum(n), printf('%.10f', sum(x)), min(s), max(s) FROM t;
SELECT n, count(*) AS c FROM t GROUP BY n ORDER BY c DESC, n LIMIT 5;
SELECT a.id, b.id FROM t a JOIN t b ON a.n = b.n AND a.id < b.id ORDER BY a.id, b.id LIMIT 3;
BEGIN; DELETE FROM t WHERE id % 3 = 0; SELECT count(*) FROM t; ROLLBACK;
SELECT count(*) FROM t;
UPDATE t SET x = x * 1.1, s = upper(s) WHERE n < 500;
DELETE FROM t WHERE id % 7 = 0;
SELECT count(*), printf('%.6f', total(x)), sum(length(s)) FROM t;
SELECT printf('%.17g', avg(x)), printf('%.17g', sum(x) / count(*)) FROM t;
SELECT id, sum(n) OVER (ORDER BY id ROWS 2 PRECEDING) FROM t LIMIT 4;
SELECT json_extract('{"a":[1,2.5,{"b":"x"}]}', '$.a[2].b'), json_array(1, 2.5, NULL, 'x');
SELECT round(2.675, 2), 1e300 * 1e10, 0.1 + 0.2 = 0.3, typeof(1 / 2), 7 / 2, 7 % -3, -7 / 2.0;
SELECT printf('%.15g %.15g', pi(), sqrt(2)), printf('%.12g', exp(1));
SELECT date(1767225600, 'unixepoch'), julianday('2026-01-01'), strftime('%j', '2024-12-31');
SELECT hex(zeroblob(4)), unicode('é'), group_concat(value, '-') FROM json_each('[3,1,2]');
PRAGMA integrity_check;
VACUUM;
PRAGMA integrity_check;
SQL
sqlite3 db .dump | sha256sum
sqlite3 db .dump | sqlite3 again && sqlite3 again .dump | sha256sum
sqlite3 db .sha3sum
sqlite3 again 'PRAGMA journal_mode = WAL; INSERT INTO t VALUES (1000001, 1, 1.5, "wal");
    SELECT count(*) FROM t; PRAGMA wal_checkpoint(TRUNCATE); PRAGMA integrity_check;'

# One writer that is killed: the transaction is whole or not there.
(
    echo 'BEGIN; UPDATE t SET n = n + 1;'
    sleep 3
    echo 'COMMIT;'
) | sqlite3 db &
sleep 1
kill -KILL $!
wait 2>/dev/null
sqlite3 db 'SELECT sum(n) FROM t; PRAGMA integrity_check;'
