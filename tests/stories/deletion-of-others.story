# What others made or use is never deleted, and what they use of ours is not taken from under them.
document trigpointing-valkey.yaml
settle quietly

# Somebody has made an access point of their own on the file system.
hand efs CreateAccessPoint {"ClientToken": "theirs", "FileSystemId": "$file_system", "RootDirectory": {"Path": "/theirs"}}
# And another group lets the mount targets' group in.
hand ec2 AuthorizeSecurityGroupIngress {"GroupId": "sg-0dddddddddddddddd", "IpPermissions": [{"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "UserIdGroupPairs": [{"GroupId": "$security_group"}]}]}
edit metadata: => metadata:\n  annotations: {valkeep.dev/delete: trigpointing-valkey, valkeep.dev/delete-without-backup: trigpointing-valkey}
settle
conditions

# They have decided that they do not need it any more.
hand efs DeleteAccessPoint {"AccessPointId": "$other_access_point"}
pass
advance 60
pass
advance 120
pass
advance 120
pass

# The rule goes, too.
hand ec2 RevokeSecurityGroupIngress {"GroupId": "sg-0dddddddddddddddd", "IpPermissions": [{"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "UserIdGroupPairs": [{"GroupId": "$security_group"}]}]}
settle
