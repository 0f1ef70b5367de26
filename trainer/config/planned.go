package config

// Keys whose machinery is not built yet: they are known and checked, but asking for one is an error.

// planned maps a key to what it would switch on. Whoever builds it deletes its row.
var planned = map[string]string{
	"reduce_precision": "training in several processes",
	"shard_optimizer":  "training in several processes",
	"local_steps":      "training in several processes",
}

func notAvailable(what string) string { return what + " is not available in this version" }
