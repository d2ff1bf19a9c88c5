package main

import (
	"fmt"
	"strings"
	"time"

	"multihop/router"
)

// group says which hop of a group serves, why, and how the others are.
func (b *blocks) group(g router.GroupStatus, down []router.OnDownStatus, now time.Time) {
	b.open("group", g.Name)
	b.line("active", g.Active)
	if !g.Since.IsZero() {
		b.line("switched", fmt.Sprintf("%s: %s", ago(g.Since, now), g.Reason))
	}
	b.line("on down", onDown(g.Name, down))
	for _, m := range g.Hops {
		text := m.Name + ", " + string(m.Health)
		if m.Reason != "" {
			text += ": " + m.Reason
		}
		if !m.Heard.IsZero() {
			text += ", heard " + ago(m.Heard, now)
		}
		b.line("member", text)
	}
}

// onDown says what routes to a hop or group do while it is down, unless they
// reject.
func onDown(rule string, all []router.OnDownStatus) string {
	var out []string
	for _, d := range all {
		if d.Rule != rule {
			continue
		}
		text := d.OnDown
		if d.Fallback != "" {
			text = d.Fallback
		}
		if d.InUse {
			text += " (stands in now)"
		}
		out = append(out, text)
	}
	return strings.Join(out, ", ")
}
