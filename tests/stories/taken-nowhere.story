# The ids that a document names are not there, or do not belong together. Nothing is ever made in their place.
document minimal.yaml
edit   network: =>   fileSystem: {id: fs-0aaaaaaaaaaaaaaaa}\n  network:
settle
edit {id: fs-0aaaaaaaaaaaaaaaa} => {accessPoint: {id: fsap-0aaaaaaaaaaaaaaaa}}
settle
conditions
hand efs CreateFileSystem {"CreationToken": "one"}
advance 60
hand efs CreateAccessPoint {"ClientToken": "one", "FileSystemId": "$FileSystemId", "PosixUser": {"Uid": 1, "Gid": 1}}
hand efs CreateFileSystem {"CreationToken": "two"}
advance 60
edit {accessPoint: {id: fsap-0aaaaaaaaaaaaaaaa}} => {id: $FileSystemId, accessPoint: {id: $AccessPointId}}
settle
