package resolv

import (
	"encoding/json"
	"strings"
)

const (
	headline = "# Written by multihop for "
	headTail = ", and undone when it goes down.\n"
	before   = "# before: "
)

// A layer is a resolv.conf of ours. What it replaced may be a layer too, of
// another TUN: so they form a stack.
type layer struct {
	Link   string
	Before Original
	Body   string // what the file says
}

// head is the first line of a layer.
func head(link string) string { return headline + link + headTail }

// bytes is the layer as a file.
func (l layer) bytes() []byte {
	was, err := json.Marshal(l.Before)
	if err != nil {
		panic(err) // strings, bytes and numbers
	}
	return []byte(head(l.Link) + before + string(was) + "\n" + l.Body)
}

// parseLayer reads a file; it is not ok unless the file is a layer.
func parseLayer(file []byte) (l layer, ok bool) {
	first, rest, _ := strings.Cut(string(file), "\n")
	second, body, _ := strings.Cut(rest, "\n")
	name, ok := strings.CutPrefix(first+"\n", headline)
	if !ok {
		return layer{}, false
	}
	if name, ok = strings.CutSuffix(name, headTail); !ok || name == "" {
		return layer{}, false
	}
	was, ok := strings.CutPrefix(second, before)
	if !ok || json.Unmarshal([]byte(was), &l.Before) != nil {
		return layer{}, false
	}
	l.Link, l.Body = name, body
	return l, true
}

// isLayer reports whether o is a file of ours.
func (o Original) isLayer() bool {
	_, ok := parseLayer(o.Content)
	return ok
}

// find returns the layer of a TUN in the stack o.
func (o Original) find(link string) (layer, bool) {
	l, ok := parseLayer(o.Content)
	for ok && l.Link != link {
		l, ok = parseLayer(l.Before.Content)
	}
	return l, ok
}

// without returns the stack o without the layers that drop names.
func (o Original) without(drop func(link string) bool) Original {
	l, ok := parseLayer(o.Content)
	if !ok {
		return o
	}
	rest := l.Before.without(drop)
	if drop(l.Link) {
		return rest
	}
	l.Before = rest
	o.Content = l.bytes()
	return o
}

// damaged reports whether file is what a crash leaves of a layer of link that
// was being written, or undone, in place: its beginning.
func damaged(file []byte, link string) bool {
	if _, ok := parseLayer(file); ok || len(file) == 0 {
		return false
	}
	s, h := string(file), head(link)
	return strings.HasPrefix(s, h) || strings.HasPrefix(h, s)
}
