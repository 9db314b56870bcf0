-- tables.sql - inserts, an index, joins, groups, updates, deletes and strings; @ROWS@ is replaced by the row count.
CREATE TABLE item(id INTEGER PRIMARY KEY, name TEXT, owner INTEGER, price INTEGER, note TEXT);
CREATE TABLE person(id INTEGER PRIMARY KEY, name TEXT);
BEGIN;
INSERT INTO person WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < @ROWS@ / 20)
  SELECT i, 'person-' || (i * 7919 % 100003) FROM c;
INSERT INTO item WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < @ROWS@)
  SELECT i, 'item-' || (i * 104729 % 1000003), i * 31 % (@ROWS@ / 20) + 1, i * 17 % 9973,
         substr('the quick brown fox jumps over the lazy dog and runs away', i % 20, i % 37) FROM c;
COMMIT;
CREATE INDEX item_owner ON item(owner, price);
CREATE INDEX item_name ON item(name);
SELECT count(*), sum(price), max(length(note)) FROM item;
SELECT sum(total), max(names) FROM
  (SELECT p.name, sum(i.price) AS total, max(i.name) AS names FROM person p JOIN item i ON i.owner = p.id GROUP BY p.name);
SELECT sum(length(joined)) FROM (SELECT group_concat(name || ':' || note, ', ') AS joined FROM item GROUP BY price % 500);
UPDATE item SET note = note || upper(substr(name, 3)) WHERE id % 3 = 0;
DELETE FROM item WHERE id % 5 = 0;
INSERT INTO item SELECT id + 10000000, name || '-copy', owner, price + 1, replace(note, 'o', '00') FROM item WHERE id % 4 = 1;
SELECT count(*), sum(length(note)), sum(price) FROM item;
SELECT count(DISTINCT substr(name, 1, 7)), sum(instr(note, 'fox')) FROM item WHERE name > 'item-3';
SELECT sum(n) FROM (SELECT owner, count(*) AS n FROM item GROUP BY owner HAVING n > 2 ORDER BY n DESC, owner LIMIT 1000);
