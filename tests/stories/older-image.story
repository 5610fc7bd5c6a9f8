# The files were written by Valkey 9; Valkey 8 could not read them.
document trigpointing-valkey.yaml
edit valkey/valkey:8.0 => valkey/valkey:9.1
valkey version 9.1.2
settle quietly
edit valkey/valkey:9.1 => valkey/valkey:8.0
settle
conditions
edit valkey/valkey:8.0 => valkey/valkey:9.1
settle
conditions
