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
-- What was written, apart from the entries themselves: one that is missing or another one is noticed by it. Neither is ever
-- changed by the application, only added to.
CREATE TABLE changes (id text PRIMARY KEY, checksum text NOT NULL);
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
CREATE TABLE registers (key text PRIMARY KEY, value bigint NOT NULL);
CREATE TABLE accounts (name text PRIMARY KEY, balance bigint NOT NULL CHECK (balance >= 0));
CREATE TABLE postings (id text PRIMARY KEY, moved jsonb);
CREATE TABLE health (id integer PRIMARY KEY, at timestamptz NOT NULL);
INSERT INTO health VALUES (1, now()), (2, now());

-- The epoch, where this site decides. The lock is what a fence waits for: once it has it, no write is under way, and none that
-- comes later overtakes it.
CREATE FUNCTION deciding() RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE here control%ROWTYPE;
BEGIN
  PERFORM pg_advisory_xact_lock_shared(1);
  SELECT * INTO here FROM control;
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
  IF created THEN
    INSERT INTO changes VALUES (new_id, new_checksum) ON CONFLICT (id) DO NOTHING;
  END IF;
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

CREATE FUNCTION put_register(which text, new_value bigint) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE now_epoch bigint := deciding();
BEGIN
  INSERT INTO registers VALUES (which, new_value) ON CONFLICT (key) DO UPDATE SET value = new_value;
  RETURN now_epoch;
END $$;

-- What only the one that decides may answer. It has to write, because what a synchronous standby does not have yet might be lost
-- although somebody has seen it: a commit waits for all that was written before it.
CREATE FUNCTION get_register(which text, OUT epoch bigint, OUT value bigint) LANGUAGE plpgsql AS $$
BEGIN
  epoch := deciding();
  SELECT registers.value INTO value FROM registers WHERE key = which;
  PERFORM seen();
END $$;

CREATE FUNCTION get_accounts(OUT epoch bigint, OUT balances jsonb) LANGUAGE plpgsql AS $$
BEGIN
  epoch := deciding();
  SELECT jsonb_object_agg(name, balance) INTO balances FROM accounts;
  PERFORM seen();
END $$;

CREATE FUNCTION seen() RETURNS void LANGUAGE sql AS $$
  INSERT INTO health VALUES (3, clock_timestamp()) ON CONFLICT (id) DO UPDATE SET at = clock_timestamp();
$$;

CREATE FUNCTION open_accounts(opening jsonb, OUT epoch bigint, OUT created boolean) LANGUAGE plpgsql AS $$
BEGIN
  epoch := deciding();
  INSERT INTO postings VALUES ('opening', NULL) ON CONFLICT (id) DO NOTHING;
  created := FOUND;
  IF created THEN
    INSERT INTO accounts SELECT key, value::bigint FROM jsonb_each_text(opening);
  END IF;
END $$;

CREATE FUNCTION transfer(new_id text, giver text, taker text, amount bigint, OUT epoch bigint, OUT created boolean) LANGUAGE plpgsql AS $$
DECLARE this jsonb := jsonb_build_array(giver, taker, amount);
DECLARE before jsonb;
DECLARE changed integer;
BEGIN
  epoch := deciding();
  INSERT INTO postings VALUES (new_id, this) ON CONFLICT (id) DO NOTHING;
  created := FOUND;
  IF NOT created THEN
    SELECT moved INTO before FROM postings WHERE id = new_id;
    IF before IS DISTINCT FROM this THEN
      RAISE EXCEPTION '% is another transfer', new_id USING ERRCODE = 'DR002';
    END IF;
    RETURN;
  END IF;
  -- In one order, so that no two wait for each other.
  PERFORM FROM accounts WHERE name IN (giver, taker) ORDER BY name FOR UPDATE;
  UPDATE accounts SET balance = balance + CASE WHEN name = giver THEN -amount ELSE amount END WHERE name IN (giver, taker);
  GET DIAGNOSTICS changed = ROW_COUNT;
  IF changed <> 2 THEN
    RAISE EXCEPTION 'there is no account % or no account %', giver, taker USING ERRCODE = 'DR002';
  END IF;
EXCEPTION WHEN check_violation THEN
  RAISE EXCEPTION '% has less than %', giver, amount USING ERRCODE = 'DR002';
END $$;

CREATE FUNCTION beat(which integer) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  PERFORM deciding();
  UPDATE health SET at = clock_timestamp() WHERE id = which;
END $$;

GRANT SELECT ON ALL TABLES IN SCHEMA public TO app, reader;
GRANT INSERT, UPDATE, DELETE ON entries, changes, jobs, health, registers, accounts, postings TO app;
GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO app;
