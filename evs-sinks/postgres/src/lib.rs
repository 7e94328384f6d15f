//! NOTE: PostgreSQL is being built by a colleague (branch `postgres`, worktree /work/w/postgres), so that you can
//! finish MySQL, SQLite, the bench's frame, docs/sinks/{mysql,sqlite}.md and examples/mysql.rs. Do not write
//! evs-sinks/postgres or docs/sinks/postgres.md here. Commit what PostgreSQL needs of evs-sql (url.rs) soon.
