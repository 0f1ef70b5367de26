package monitor

import (
	"html"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestSampleReadsAsItWasWritten(t *testing.T) {
	for _, test := range []struct{ prompt, text, want string }{
		{"", "Era uma vez", "Era uma vez"},
		{"Era", "Era uma\nvez, \"olá\"; não?", "> Era\n\nEra uma<br>vez, \"olá\"; não?"},
		{"a\nb", "c", "> a<br>b\n\nc"},
		{"", "# *não* é [título](x) <b>\n1. nem lista\n- nem `isto`\n---", "&#35; &#42;não&#42; é &#91;título&#93;&#40;x&#41; &#60;b&#62;<br>" +
			"1&#46; nem lista<br>&#45; nem &#96;isto&#96;<br>&#45;&#45;&#45;"},
		{"", "    no code\n\n\tdepois", "&#160;&#160;&#160;&#160;no code<br><br>&#160;depois"},
		{"", "\x1b[31m\x00\xff\u0085", "\uFFFD&#91;31m\uFFFD\uFFFD\uFFFD"},
		{"", "&amp; 世界", "&#38;amp; 世界"},
	} {
		if got := sampleText(test.prompt, test.text); got != test.want {
			t.Errorf("%q: got\n%s\nwant\n%s", test.text, got, test.want)
		}
	}
}

// Nothing is lost, and nothing that Markdown or HTML would obey is left.
func TestPlainMarkdownIsTheTextAgain(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringOf(rapid.SampledFrom([]rune("ab é世 \n\t*_#<>&|`[]()!\\~=-+.1\"'"))).Draw(t, "text")
		got := plainMarkdown(text)
		if strings.ContainsAny(strings.NewReplacer("&#", "", "<br>", "").Replace(got), "*_<>&|`[]()!\\~=-+.#") {
			t.Fatalf("%q became %q", text, got)
		}
		plain := strings.ReplaceAll(html.UnescapeString(strings.ReplaceAll(got, "<br>", "\n")), "\u00a0", " ")
		want := strings.ReplaceAll(text, "\t", " ")
		if squeeze(plain) != squeeze(want) {
			t.Fatalf("%q reads %q", text, plain)
		}
	})
}

// squeeze takes spaces away, which a browser joins.
func squeeze(s string) string { return strings.NewReplacer(" ", "", "\t", "").Replace(s) }
