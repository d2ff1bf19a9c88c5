package main

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"multihop/conf"
)

// defaultName is the TUN's where neither --name nor a profile says one.
const defaultName = "mh0"

// An order is what a command line asks for: files or a profile, and the flags
// beside them. run, up and check take the same ones.
type order struct {
	args     []string // FILES..., or one PROFILE
	name     string   // of the TUN; "": the profile's, or else defaultName
	routes   []string
	fragment bool
	hooks    bool          // those of imported files, too
	wait     time.Duration // for the handshakes of all hops; 0: not

	detached bool

	settings []conf.Setting
	values   []settingValue // beside settings
}

// A settingValue is what the command line gives one setting.
type settingValue struct {
	given []string
	flag  *pflag.Flag
}

// addFlags gives cmd the flags of an order.
func (o *order) addFlags(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&o.name, "name", "", "`NAME` of the TUN: 1 to 15 of a-z, A-Z, 0-9 and _=+.- (default: the profile's, else "+defaultName+")")
	flags.StringArrayVar(&o.routes, "route", nil,
		"send `[HOP=]PREFIX` to HOP, or to the innermost hop, instead of what the files' AllowedIPs say (repeatable)")
	flags.BoolVar(&o.fragment, "fragment", false,
		"let carried hops send their datagrams in fragments, so that each keeps an MTU of 1280 however deep it lies")
	flags.BoolVar(&o.hooks, "hooks", false, "run the hooks of the first file, too: it and its folder must be root's")
	_ = cmd.RegisterFlagCompletionFunc("name", cobra.NoFileCompletions)
	_ = cmd.RegisterFlagCompletionFunc("route", cobra.NoFileCompletions)

	o.settings = conf.SettingList()
	o.values = make([]settingValue, len(o.settings))
	for i, s := range o.settings {
		v := &o.values[i]
		usage := s.Usage
		if s.Repeat {
			usage += " (repeatable)"
		}
		flags.StringArrayVar(&v.given, s.Flag, nil, usage)
		v.flag = flags.Lookup(s.Flag)
		_ = cmd.RegisterFlagCompletionFunc(s.Flag, settingCompletion(s.Flag))
	}
}

// settingCompletion offers the words that a setting takes.
func settingCompletion(flag string) cobra.CompletionFunc {
	var words []string
	switch flag {
	case "table":
		words = []string{"auto", "off"}
	case "lan":
		words = []string{"allow", "deny"}
	case "kill-switch":
		words = []string{"yes", "no"}
	case "ipv6":
		words = []string{"direct"}
	case "dns", "fwmark":
		words = []string{"off"}
	}
	return cobra.FixedCompletions(words, cobra.ShellCompDirectiveNoFileComp)
}

// overrides returns what the flags say, and warnings about those that are not
// taken as they stand.
func (o *order) overrides() (*conf.Overrides, []string, error) {
	over := &conf.Overrides{Fragment: o.fragment, FileHooks: o.hooks}
	for i, s := range o.settings {
		given := o.values[i].given
		if len(given) > 1 && !s.Repeat {
			return nil, nil, fmt.Errorf("--%s is given %d times: keep one", s.Flag, len(given))
		}
		for _, text := range given {
			if err := over.Settings.Set("--"+s.Flag, text); err != nil {
				return nil, nil, err
			}
		}
	}
	var warnings []string
	for _, v := range o.routes {
		f, err := conf.ParseRouteFlag(v)
		if err != nil {
			return nil, nil, err
		}
		over.Routes = append(over.Routes, f)
		given := strings.TrimSpace(v[strings.LastIndexByte(v, '=')+1:])
		if p, err := netip.ParsePrefix(given); err == nil && p != p.Masked() {
			warnings = append(warnings, fmt.Sprintf("--route %s: %s has host bits: read as %s", v, p, f.Prefix))
		}
	}
	return over, warnings, nil
}

// load reads what the order names.
func (o *order) load(allErrors bool) (*conf.Instance, []string, error) {
	over, warnings, err := o.overrides()
	if err != nil {
		return nil, nil, err
	}
	over.AllErrors = allErrors
	path, profile, err := o.find()
	if err != nil {
		return nil, nil, err
	}
	var in *conf.Instance
	switch {
	case profile:
		in, err = conf.LoadProfile(path, over)
	case path != "": // one file, perhaps by its name in /etc/multihop
		in, err = conf.LoadChain([]string{path}, over)
	default:
		in, err = conf.LoadChain(o.args, over)
	}
	if err != nil {
		return nil, nil, err
	}
	for _, w := range in.Warnings {
		warnings = append(warnings, w.String())
	}
	return in, warnings, nil
}

// find returns the path of the one file or profile that is named, and which of the
// two it is; "": several files are.
func (o *order) find() (path string, profile bool, err error) {
	if len(o.args) != 1 {
		return "", false, nil
	}
	return conf.Find(o.args[0])
}

// tun returns the name that the TUN gets.
func (o *order) tun() (string, error) {
	if o.name != "" {
		if err := checkName(o.name); err != nil {
			return "", fmt.Errorf("--name: %w", err)
		}
		return o.name, nil
	}
	path, profile, err := o.find()
	if err != nil {
		return "", err
	}
	if profile {
		if name := profileName(path); checkName(name) == nil {
			return name, nil
		}
	}
	return defaultName, nil
}

// profileName returns the name of the profile at path.
func profileName(path string) string { return strings.TrimSuffix(filepath.Base(path), ".conf") }

// settle makes the paths of the order mean the same in whatever folder, and has a
// detached instance leave the one that it was started in.
func (o *order) settle() error {
	path, _, err := o.find()
	if err != nil {
		return err
	}
	paths := o.args
	if path != "" {
		paths = []string{path}
	}
	abs := make([]string, len(paths))
	for i, p := range paths {
		if abs[i], err = filepath.Abs(p); err != nil {
			return err
		}
	}
	o.args = abs
	if o.detached {
		return os.Chdir("/")
	}
	return nil
}
