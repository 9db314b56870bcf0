-- tables.sql - inserts, indexes, joins, windows, text search, JSON, deletes. The output depends on nothing but this file.
PRAGMA journal_mode = WAL;
CREATE TABLE customer (id INTEGER PRIMARY KEY, name TEXT, city TEXT);
CREATE TABLE purchase (id INTEGER PRIMARY KEY, customer INTEGER, cents INTEGER, note TEXT);
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 25000)
  INSERT INTO customer SELECT i, 'name ' || (i * 7919 % 10007), 'city ' || (i * 31 % 97) FROM n;
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 250000)
  INSERT INTO purchase SELECT i, 1 + i * 7919 % 25000, i * 104729 % 100003, 'note ' || hex(i * 2654435761 % 4294967296) FROM n;
CREATE INDEX by_customer ON purchase(customer);
CREATE INDEX by_city ON customer(city, name);
SELECT city, count(*), sum(cents) FROM customer JOIN purchase ON customer.id = customer GROUP BY city ORDER BY 3 DESC LIMIT 10;
SELECT name, sum(cents) OVER (PARTITION BY city ORDER BY customer.id) FROM customer JOIN purchase ON customer.id = customer
  WHERE city = 'city 5' ORDER BY 2 DESC, 1 LIMIT 10;
SELECT length(group_concat(note)), count(DISTINCT note) FROM purchase WHERE note LIKE '%A5%';
SELECT count(*), sum(json_extract(json_object('a', cents, 'b', note), '$.a')) FROM purchase;
SELECT sum(length(replace(upper(note) || printf('%08d', cents), '0', 'zero'))) FROM purchase;
DELETE FROM purchase WHERE id % 3 = 0;
UPDATE purchase SET note = note || note WHERE id % 5 = 0;
VACUUM;
SELECT count(*), sum(cents), sum(length(note)) FROM purchase;
PRAGMA integrity_check;
