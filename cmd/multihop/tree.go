package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"multihop/internal/control"
	"multihop/router"
)

func newTreeCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "tree [TUN | PROFILE | FILE...]",
		Short: "Draw hops as a tree: which carries which",
		Long: text(`
Draw the hops of a running instance as a tree, each below the one that carries
it, with its state, its MTU, its latest handshake and its endpoint; of a group,
which hop is active and which stands by. Without an argument, every instance that
runs is drawn. Of files, or a profile that does not run, the tree is what up would
make of it.

` + whichHelp),
		Example: text(`
  multihop tree
  multihop tree entry.conf exit.conf
  multihop tree office --json`),
		ValidArgsFunction: completeInstancesAndFiles,
		RunE: func(cmd *cobra.Command, args []string) error {
			return tree(cmd.Context(), cmd.OutOrStdout(), control.Dir, args, asJSON)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON, one object an instance")
	return cmd
}

// A hopTree is the tree of one instance, or of files.
type hopTree struct {
	TUN  string     `json:"tun,omitempty"` // "": of files
	MTU  int        `json:"mtu"`
	Hops []*treeHop `json:"hops"` // on the host's network
}

// A treeHop is a hop with what it carries.
type treeHop struct {
	Name            string     `json:"name"`
	ViaGroup        string     `json:"via_group,omitempty"` // the group that chose the carrier
	Groups          []string   `json:"groups,omitempty"`    // that it is in: "NAME: active, good"
	State           string     `json:"state,omitempty"`     // up, or down: why; "": it does not run
	MTU             int        `json:"mtu"`
	Endpoints       []string   `json:"endpoints,omitempty"`
	LatestHandshake *time.Time `json:"latest_handshake,omitempty"` // of the peer that was heard last; none: there was none
	Carries         []*treeHop `json:"carries,omitempty"`
}

func tree(ctx context.Context, w io.Writer, dir string, args []string, asJSON bool) error {
	trees, err := treesOf(ctx, dir, args)
	for i, t := range trees {
		if asJSON {
			e := json.NewEncoder(w)
			e.SetIndent("", "  ")
			err = errors.Join(err, e.Encode(t))
			continue
		}
		if i > 0 {
			fmt.Fprintln(w)
		}
		_, werr := io.WriteString(w, t.draw(time.Now()))
		err = errors.Join(err, werr)
	}
	return err
}

// treesOf returns the trees that arguments mean.
func treesOf(ctx context.Context, dir string, args []string) ([]*hopTree, error) {
	if len(args) > 1 {
		return plannedTree(args)
	}
	names, err := control.Names(dir)
	if len(args) == 1 { // who may not ask instances may read files
		name, nerr := named(dir, args[0])
		if err != nil || nerr != nil || !slices.Contains(names, name) {
			return plannedTree(args)
		}
		names = []string{name}
	}
	if err != nil {
		return nil, err
	}
	var trees []*hopTree
	var errs []error
	for _, name := range names {
		s, err := askStatus(ctx, dir, name)
		switch {
		case notRunning(err) && len(args) == 1:
			return plannedTree(args)
		case notRunning(err): // a socket alone
		case err != nil:
			errs = append(errs, err)
		default:
			trees = append(trees, treeOf(&s.Status))
		}
	}
	if len(trees) == 0 && len(errs) == 0 {
		errs = append(errs, errNoInstance)
	}
	return trees, errors.Join(errs...)
}

// treeOf returns the tree of a running router.
func treeOf(s *router.Status) *hopTree {
	t := &hopTree{TUN: s.TUN, MTU: s.MTU}
	by := make(map[string]*treeHop)
	for _, h := range s.Hops {
		x := &treeHop{Name: h.Name, ViaGroup: h.ViaGroup, State: upOrDown(h.Down, h.Reason), MTU: h.MTU}
		for _, p := range h.Peers {
			if e := endpointOf(p); e != "" {
				x.Endpoints = append(x.Endpoints, e)
			}
			if at := p.LatestHandshake; !at.IsZero() && (x.LatestHandshake == nil || at.After(*x.LatestHandshake)) {
				x.LatestHandshake = &at
			}
		}
		by[h.Name] = x
		t.hang(by[h.Via], x)
	}
	for _, g := range s.Groups {
		for _, m := range g.Hops {
			role := "standby"
			if m.Name == g.Active {
				role = "active"
			}
			if x := by[m.Name]; x != nil {
				x.Groups = append(x.Groups, fmt.Sprintf("%s: %s, %s", g.Name, role, m.Health))
			}
		}
	}
	return t
}

// plannedTree returns the tree of files, or of a profile.
func plannedTree(args []string) ([]*hopTree, error) {
	plan, err := planOf(args)
	if err != nil {
		return nil, err
	}
	t := &hopTree{MTU: plan.MTU}
	by := make(map[string]*treeHop)
	first := make(map[string]string) // of a group
	for _, g := range plan.Groups {
		first[g.Name] = g.Hops[0]
	}
	for _, h := range plan.Hops {
		x := &treeHop{Name: h.Name, MTU: h.MTU, Endpoints: h.Endpoints}
		via := h.Via
		if hop := first[via]; hop != "" {
			x.ViaGroup, via = via, hop
		}
		if h.Down {
			x.State = upOrDown(true, "taken down")
		}
		by[h.Name] = x
		t.hang(by[via], x)
	}
	for _, g := range plan.Groups {
		for i, name := range g.Hops {
			by[name].Groups = append(by[name].Groups, fmt.Sprintf("%s: choice %d", g.Name, i+1))
		}
	}
	return []*hopTree{t}, nil
}

// hang puts a hop below its carrier; nil: the host's network.
func (t *hopTree) hang(carrier, x *treeHop) {
	if carrier == nil {
		t.Hops = append(t.Hops, x)
		return
	}
	carrier.Carries = append(carrier.Carries, x)
}

// draw returns the tree as lines.
func (t *hopTree) draw(now time.Time) string {
	var b strings.Builder
	name := t.TUN
	if name == "" {
		name = "(not running)"
	}
	fmt.Fprintf(&b, "%s  mtu %d\n", name, t.MTU)
	drawHops(&b, t.Hops, "", t.TUN != "", now)
	return b.String()
}

func drawHops(b *strings.Builder, hops []*treeHop, indent string, running bool, now time.Time) {
	for i, h := range hops {
		branch, below := "├─ ", "│  "
		if i == len(hops)-1 {
			branch, below = "└─ ", "   "
		}
		b.WriteString(indent + branch + h.line(running, now) + "\n")
		drawHops(b, h.Carries, indent+below, running, now)
	}
}

// line says of a hop what there is to know.
func (h *treeHop) line(running bool, now time.Time) string {
	words := []string{h.Name}
	if h.State != "" {
		words = append(words, h.State)
	}
	words = append(words, fmt.Sprintf("mtu %d", h.MTU))
	switch {
	case h.LatestHandshake != nil:
		words = append(words, "handshake "+ago(*h.LatestHandshake, now))
	case running:
		words = append(words, "no handshake yet")
	}
	if len(h.Endpoints) > 0 {
		words = append(words, strings.Join(h.Endpoints, ", "))
	}
	if h.ViaGroup != "" {
		words = append(words, "(by group "+h.ViaGroup+")")
	}
	for _, g := range h.Groups {
		words = append(words, "["+g+"]")
	}
	return strings.Join(words, "  ")
}
