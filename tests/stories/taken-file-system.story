# A team has a file system, and an access point on it, both made by its own tools: elastic, with a tag, a policy and a
# mount target in one zone. The document takes the access point. None of this is changed; the other zone gets a mount target.
hand ec2 CreateSecurityGroup {"GroupName": "storage", "GroupDescription": "NFS of the storage team", "VpcId": "vpc-0a1b2c3d4e5f67890"}
advance 10
hand ec2 AuthorizeSecurityGroupIngress {"GroupId": "$GroupId", "IpPermissions": [{"IpProtocol": "tcp", "FromPort": 2049, "ToPort": 2049, "UserIdGroupPairs": [{"GroupId": "sg-0cccccccccccccccc"}]}]}
hand efs CreateFileSystem {"CreationToken": "theirs", "ThroughputMode": "elastic", "Encrypted": true, "Tags": [{"Key": "team", "Value": "storage"}]}
advance 60
hand efs CreateMountTarget {"FileSystemId": "$FileSystemId", "SubnetId": "subnet-0aaaaaaaaaaaaaaa1", "SecurityGroups": ["$GroupId"]}
hand efs PutFileSystemPolicy {"FileSystemId": "$FileSystemId", "Policy": "{\"Statement\": [{\"Effect\": \"Allow\", \"Principal\": {\"AWS\": \"*\"}, \"Action\": [\"elasticfilesystem:ClientWrite\", \"elasticfilesystem:ClientMount\"], \"Condition\": {\"Bool\": {\"elasticfilesystem:AccessedViaMountTarget\": \"true\"}}}]}"}
hand efs CreateAccessPoint {"ClientToken": "theirs", "FileSystemId": "$FileSystemId", "PosixUser": {"Uid": 999, "Gid": 998}, "RootDirectory": {"Path": "/cache", "CreationInfo": {"OwnerUid": 999, "OwnerGid": 998, "Permissions": "0750"}}}
advance 300
document minimal.yaml
edit   network: =>   fileSystem: {accessPoint: {id: $AccessPointId}}\n  network:
settle
conditions

# The document says something of the file system, too: it is changed under a mark that others can see.
edit {accessPoint: => {throughputMode: bursting, accessPoint:
settle

# Another service puts its mark there first: this document keeps away from the directory.
hand efs TagResource {"ResourceId": "$AccessPointId", "Tags": [{"Key": "valkeep.dev/used-by", "Value": "0123456789012345678901234567890123456789 cluster/another"}]}
settle
hand efs UntagResource {"ResourceId": "$AccessPointId", "TagKeys": ["valkeep.dev/used-by"]}
settle
