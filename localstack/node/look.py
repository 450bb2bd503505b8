"""Whether all that a database has is what was written: asked of a site that serves, and of a copy that was restored."""

LOOK = """
SELECT count(entries.id),
  count(*) FILTER (WHERE entries.id IS NULL),
  count(*) FILTER (WHERE encode(sha256(convert_to(value, 'UTF8')), 'hex') IS DISTINCT FROM lower(entries.checksum)
                      OR lower(changes.checksum) IS DISTINCT FROM lower(entries.checksum)) - count(*) FILTER (WHERE entries.id IS NULL),
  (SELECT count(*) FROM users)
FROM entries FULL JOIN changes USING (id)
"""


def consistency(ask):
    """What there is, and what is wrong with it."""
    [(entries, missing, wrong, users)] = ask(LOOK)
    problems = []
    if missing:
        problems.append(f"{missing} entries are missing")
    if wrong:
        problems.append(f"{wrong} entries are not what was written")
    if not users:
        problems.append("there is no user")
    return {"entries": entries, "problems": problems}
