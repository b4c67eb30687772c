"""What was uploaded becomes submissions: whose it is and from when is read from the name that a platform gave it.

In: downloaded/CHAPTER/archive/, and roster.csv where there is one. Out: submitted/, and an account of everybody.

`collect` is nbgrader's command. It has the uploads found (`finding`) in folders, files and archives that are opened
with care (`archives`); `names` knows the platforms' forms; `people` gives each person an id, with the `roster`;
`placing` lets the newest upload take its place in submitted/; `account` says what became of everybody.
"""
