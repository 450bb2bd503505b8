-- What the application keeps. `control` has one row: who decides about writes, and in which epoch.
CREATE TABLE control (only_one boolean PRIMARY KEY DEFAULT true CHECK (only_one), epoch bigint NOT NULL, fenced boolean NOT NULL);
INSERT INTO control (epoch, fenced) VALUES (1, false);

CREATE TABLE entries (
  id text PRIMARY KEY,
  sequence bigint NOT NULL,
  value text NOT NULL,
  checksum text NOT NULL,
  lsn bigserial NOT NULL,
  epoch bigint NOT NULL
);
CREATE TABLE users (name text PRIMARY KEY, salt text NOT NULL, iterations integer NOT NULL, hash text NOT NULL);
CREATE TABLE jobs (
  id text PRIMARY KEY,
  argv jsonb NOT NULL,
  state text NOT NULL DEFAULT 'queued',
  submitted_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  claim bigint NOT NULL DEFAULT 0,
  claim_epoch bigint NOT NULL DEFAULT 0,
  claimed_at timestamptz,
  exit_code integer,
  output text
);
CREATE TABLE health (id integer PRIMARY KEY, at timestamptz NOT NULL);
INSERT INTO health VALUES (1, now()), (2, now());

-- The epoch, where this site decides. The lock is what a fence waits for: once it has the row, no write is under way.
CREATE FUNCTION deciding() RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE here control%ROWTYPE;
BEGIN
  SELECT * INTO here FROM control FOR SHARE;
  IF here.fenced THEN
    RAISE EXCEPTION 'fenced' USING ERRCODE = 'DR001';
  END IF;
  RETURN here.epoch;
END $$;

CREATE FUNCTION put_entry(new_id text, new_sequence bigint, new_value text, new_checksum text, OUT created boolean, OUT lsn bigint, OUT epoch bigint, OUT decided_in bigint) LANGUAGE plpgsql AS $$
DECLARE found_entry entries%ROWTYPE;
BEGIN
  decided_in := deciding();
  INSERT INTO entries (id, sequence, value, checksum, epoch)
    VALUES (new_id, new_sequence, new_value, new_checksum, decided_in)
    ON CONFLICT (id) DO NOTHING;
  created := FOUND;
  SELECT * INTO found_entry FROM entries WHERE id = new_id;
  IF (found_entry.sequence, found_entry.value, found_entry.checksum) IS DISTINCT FROM (new_sequence, new_value, new_checksum) THEN
    RAISE EXCEPTION '% is stored with other content', new_id USING ERRCODE = 'DR002';
  END IF;
  lsn := found_entry.lsn;
  epoch := found_entry.epoch;
END $$;

CREATE FUNCTION submit_job(new_id text, new_argv jsonb) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  PERFORM deciding();
  INSERT INTO jobs (id, argv) VALUES (new_id, new_argv);
END $$;

-- A job runs at least once: one whose worker was lost, with its site or alone, runs again.
CREATE FUNCTION claim_job(lease interval) RETURNS SETOF jobs LANGUAGE plpgsql AS $$
DECLARE now_epoch bigint := deciding();
BEGIN
  RETURN QUERY UPDATE jobs SET state = 'running', claim = jobs.claim + 1, claim_epoch = now_epoch, claimed_at = clock_timestamp()
    WHERE jobs.id = (
      SELECT one.id FROM jobs one
      WHERE one.state = 'queued' OR (one.state = 'running' AND (one.claim_epoch < now_epoch OR one.claimed_at < clock_timestamp() - lease))
      ORDER BY one.state, one.submitted_at LIMIT 1 FOR UPDATE SKIP LOCKED)
    RETURNING jobs.*;
END $$;

CREATE FUNCTION finish_job(job_id text, of_claim bigint, code integer, words text) RETURNS SETOF jobs LANGUAGE plpgsql AS $$
DECLARE now_epoch bigint := deciding();
BEGIN
  RETURN QUERY UPDATE jobs SET state = CASE WHEN code = 0 THEN 'done' ELSE 'failed' END, exit_code = code, output = words
    WHERE jobs.id = job_id AND jobs.claim = of_claim AND jobs.claim_epoch = now_epoch AND jobs.state = 'running'
    RETURNING jobs.*;
END $$;

CREATE FUNCTION beat(which integer) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  PERFORM deciding();
  UPDATE health SET at = clock_timestamp() WHERE id = which;
END $$;

GRANT SELECT ON ALL TABLES IN SCHEMA public TO app, reader;
GRANT INSERT, UPDATE, DELETE ON entries, jobs, health TO app;
-- A row lock asks for the right to update.
GRANT UPDATE ON control TO app;
GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO app;
