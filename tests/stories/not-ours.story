# A security group has our name and is not ours: it is left alone, and so is everything that would need it.
document trigpointing-valkey.yaml
hand ec2 CreateSecurityGroup {"GroupName": "valkeep-trigpointing-valkey-7ae99753-nfs", "GroupDescription": "another team", "VpcId": "vpc-0a1b2c3d4e5f67890"}
advance 5
settle
conditions
