package resolv

import (
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const (
	lan   = "nameserver 192.0.2.53\n"
	first = `# Written by multihop for mh0, and undone when it goes down.
# before: {"Content":"bmFtZXNlcnZlciAxOTIuMC4yLjUzCg==","Mode":420}
nameserver 10.64.0.1
`
)

func TestLayer(t *testing.T) {
	want := layer{Link: "mh0", Before: Original{Content: []byte(lan), Mode: 0o644}, Body: "nameserver 10.64.0.1\n"}
	if got := string(want.bytes()); got != first {
		t.Errorf("got\n%swant\n%s", got, first)
	}
	got, ok := parseLayer([]byte(first))
	if diff := cmp.Diff(want, got); !ok || diff != "" {
		t.Errorf("parsed: %v (-want +got)\n%s", ok, diff)
	}
	for name, file := range map[string]string{
		"empty":           "",
		"somebody's":      lan,
		"no TUN":          "# Written by multihop for , and undone when it goes down.\n# before: {}\n",
		"another comment": "# Written by multihop for mh0\n# before: {}\n",
		"one line":        "# Written by multihop for mh0, and undone when it goes down.\n",
		"what it was":     "# Written by multihop for mh0, and undone when it goes down.\n# before: {\n",
	} {
		if l, ok := parseLayer([]byte(file)); ok {
			t.Errorf("%s: %+v", name, l)
		}
	}
}

// stack is the file of TUNs on top of each other, the first one lowest.
func stack(links ...string) Original {
	o := Original{Content: []byte(lan), Mode: 0o644}
	for _, l := range links {
		o = Original{Content: layer{Link: l, Before: o, Body: "nameserver of " + l + "\n"}.bytes(), Mode: 0o644}
	}
	return o
}

func TestStack(t *testing.T) {
	for _, tt := range []struct {
		drop string
		want Original
	}{
		{"", stack("a", "b", "c")},
		{"x", stack("a", "b", "c")},
		{"a", stack("b", "c")},
		{"b", stack("a", "c")},
		{"c", stack("a", "b")},
		{"ab", stack("c")},
		{"abc", stack()},
	} {
		got := stack("a", "b", "c").without(func(l string) bool { return bytes.Contains([]byte(tt.drop), []byte(l)) })
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("without %q: (-want +got)\n%s", tt.drop, diff)
		}
	}
	for _, link := range []string{"a", "b", "c"} {
		if l, ok := stack("a", "b", "c").find(link); !ok || l.Body != "nameserver of "+link+"\n" {
			t.Errorf("%s: %v, %+v", link, ok, l)
		}
	}
	if _, ok := stack("a").find("b"); ok {
		t.Error("found what is not there")
	}
}

func TestDamaged(t *testing.T) {
	for name, tt := range map[string]struct {
		file string
		want bool
	}{
		"whole":            {first, false},
		"nothing written":  {"", false},
		"half a line":      {first[:30], true},
		"a line":           {head("mh0"), true},
		"half the next":    {first[:90], true},
		"another TUN's":    {head("mh1"), false},
		"somebody's":       {lan, false},
		"somebody's, long": {lan + first, false},
	} {
		if got := damaged([]byte(tt.file), "mh0"); got != tt.want {
			t.Errorf("%s: %v, want %v", name, got, tt.want)
		}
	}
}

// What is taken for a layer is written as it was read, and a stack of whatever
// bytes comes apart.
func FuzzParseLayer(f *testing.F) {
	f.Add([]byte(first))
	f.Add([]byte(lan))
	f.Add(stack("a", "b", "c").Content)
	f.Add([]byte(head("mh0") + before + "{\"Mode\":1e3}\n"))
	f.Fuzz(func(t *testing.T, file []byte) {
		l, ok := parseLayer(file)
		if ok {
			again, ok := parseLayer(l.bytes())
			if diff := cmp.Diff(l, again); !ok || diff != "" {
				t.Fatalf("(-first +again)\n%s", diff)
			}
		}
		o := Original{Content: file, Mode: 0o644}
		if rest := o.without(func(string) bool { return true }); rest.isLayer() {
			t.Fatalf("a layer is left: %s", rest.Content)
		}
		if same := o.without(func(string) bool { return false }); !ok && !bytes.Equal(same.Content, file) {
			t.Fatalf("changed: %s", same.Content)
		}
		for _, a := range nameservers(file) {
			if !a.IsValid() {
				t.Fatal("an address that is none")
			}
		}
	})
}
