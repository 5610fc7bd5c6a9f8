# Coming back with staleDump: SetAside, the old dump is renamed under the lock before the server starts.
document trigpointing-valkey.yaml
settle quietly
edit preset: Balanced => preset: Off
settle
valkey keys 500
edit preset: Off => preset: Balanced
edit staleDump: Load => staleDump: SetAside
settle
conditions
