// Package resolv tells the host which resolvers to ask while a TUN is up, and
// undoes it. Linux only; elsewhere every method fails with errors.ErrUnsupported.
//
// Where the settings go depends on who looks after the host's DNS:
//
//	systemd-resolved is on the bus        its settings of the link, over D-Bus
//	and unless resolv.conf is its stub:
//	    resolv.conf is resolvconf's       a record of resolvconf (openresolv's or Debian's)
//	    resolv.conf is anybody's          the file is replaced
//
// Both happen where resolved runs but programs read a resolv.conf that is not
// its stub: they would ask past it.
//
// A [Record] says what will change before anything does, so that the caller can
// write it to its journal in between: Prepare, write, Apply. Apply, Check and
// Undo need nothing else, so another process can undo what a crashed one did,
// and each may be called again. Undo never overwrites what somebody else wrote
// meanwhile. While the TUN is up, Watch says when somebody may have changed
// something, and Check whether it matters.
//
// # The file
//
// A resolv.conf of ours says in two comments which TUN it is for and what it
// replaced:
//
//	# Written by multihop for mh0, and undone when it goes down.
//	# before: {"Content":"bmFtZXNlcnZlciAxOTIuMC4yLjUzCg==","Mode":420}
//	nameserver 10.64.0.1
//
// So it can be undone even after a reboot, when the journal in /run is gone,
// and the files of several TUNs form a stack whose parts leave in any order
// ([Original], layer.go). It is put in place by rename. A file that is a mount
// point, as in containers, or in a read-only folder is written in place.
package resolv
