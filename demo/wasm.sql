\pset pager off
\timing off
\echo
\echo '\033[1m4. A trigger in WebAssembly checks and normalises rows; a new build takes over while we stay connected.\033[0m'
