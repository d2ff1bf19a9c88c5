package conf

import (
	"fmt"

	"multihop/router"
)

// warnings returns those of the files, each file's once, and of the tree.
func (t *tree) warnings() (ws []Warning) {
	for _, m := range t.files() {
		ws = append(ws, m.file.Warnings...)
	}
	return append(ws, t.sharedPeers()...)
}

// sharedPeers warns of two hops with the same PrivateKey and relay. (The same
// PrivateKey at different relays is usual.)
func (t *tree) sharedPeers() (ws []Warning) {
	type session struct{ private, public router.Key }
	first := make(map[session]*member)
	for _, m := range t.members() {
		f := m.file
		for _, p := range f.Peers {
			s := session{f.Interface.PrivateKey, p.PublicKey}
			other, ok := first[s]
			if !ok {
				first[s] = m
				continue
			}
			where := other.file.Path
			if other.file == f || t.path == where {
				where = "hop " + other.name
			}
			ws = append(ws, Warning{
				File: f.Path, Line: p.Line, Key: "PublicKey",
				Text: fmt.Sprintf("the same relay with the same PrivateKey as in %s: a relay keeps one session a key, so the two hops will cut each other off", where),
			})
		}
	}
	return ws
}
