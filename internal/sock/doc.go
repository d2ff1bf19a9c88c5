// Package sock makes Unix stream sockets that only root and the user who made
// them can reach.
//
// A socket is bound inside a directory of mode 0700, given mode 0600 and only then
// linked to its name. So there is no moment at which another user
// could connect, and the process's umask, which belongs to every goroutine, is
// not touched. link(2) fails where the name exists, so a live socket is never
// replaced: a name is taken over only when nothing accepts on it any more.
// Accept checks the credentials of each peer besides.
package sock
