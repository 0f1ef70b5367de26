package config

// The kinds of text that keys hold: paths, globs, names, devices, addresses.

import (
	"net"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"unicode"
)

var devicePattern = regexp.MustCompile(`^(auto|cpu|cuda(:[0-9]{1,3})?)$`)

var (
	anyText  = text{"text", func(string) bool { return true }}
	someText = text{"a name that is not empty and has no control characters", plain}

	path         = text{"a path that is not empty", plain}
	optionalPath = text{`a path, or "" for none`, func(s string) bool { return s == "" || plain(s) }}
	glob         = text{"a path or a pattern such as texts/*.txt", func(s string) bool {
		_, err := filepath.Match(s, "")
		return plain(s) && err == nil
	}}

	modelName = text{`a file name of at most 100 bytes without / \ * ? [ ] that does not begin with a dot`, func(s string) bool {
		return plain(s) && len(s) <= 100 && !strings.ContainsAny(s, `/\*?[]`) && s[0] != '.'
	}}
	device = text{"auto, cpu, cuda or cuda:N", devicePattern.MatchString}
	resume = text{"auto, never or the directory of a checkpoint", plain}
	listen = text{`an address such as "127.0.0.1:6007", or "" for none`, func(s string) bool {
		_, port, err := net.SplitHostPort(s)
		_, portErr := strconv.ParseUint(port, 10, 16)
		return s == "" || err == nil && portErr == nil
	}}
)

// plain refuses what no name or path can be: nothing, blanks only, control characters, more than Linux takes.
func plain(s string) bool {
	const maxPath = 4095
	return strings.TrimSpace(s) != "" && len(s) <= maxPath && !strings.ContainsFunc(s, unicode.IsControl)
}
