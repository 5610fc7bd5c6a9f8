# The operator permits certain roles. A document that names another is held whole, and nothing is made for it.
limit roles cache-*, trigpointing-ecs-execution-role
document trigpointing-valkey.yaml
pass
conditions

# The operator permits it, too.
limit roles trigpointing-ecs-*
settle quietly

# A limit that comes later does not undo anything: what runs goes on, and nothing is changed any more.
limit images registry.example.com/*
edit preset: Balanced => preset: Frequent
pass
conditions
