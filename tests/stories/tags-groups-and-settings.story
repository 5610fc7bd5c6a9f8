# Tags, groups and settings of the file system change in the document, and what valkeep made follows.
document trigpointing-valkey.yaml
settle quietly

edit service: trigpointing => service: trigpointing-web
settle

# The tags of the log group are read only when its retention changes: only then does it matter whose it is.
edit retentionDays: 30 => retentionDays: 60
settle

# The bastion goes: its rule is taken away, and nothing else.
edit maintenanceSecurityGroupIds: [sg-0dddddddddddddddd] => maintenanceSecurityGroupIds: []
settle

edit automaticBackups: true => automaticBackups: false
settle

# Somebody gives a mount target another group.
hand efs ModifyMountTargetSecurityGroups {"MountTargetId": "$mount_target", "SecurityGroups": ["sg-0cccccccccccccccc"]}
settle
conditions
