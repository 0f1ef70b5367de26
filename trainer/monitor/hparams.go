// The configuration for TensorBoard's HPARAMS tab, which lays runs side by side: what a run began with and how it ended. The
// numbers beside them are the last of each scalar. No Experiment is written: TensorBoard then works out itself which keys
// differ between the runs, and shows those first.

package monitor

import (
	"encoding/json"
	"maps"
	"slices"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
)

// Of TensorBoard's plugins/hparams: the messages' fields by number, and Status.
const (
	hparamsStart, hparamsEnd          = 3, 4 // of HParamsPluginData
	startHParams, startTime           = 1, 5 // of SessionStartInfo
	mapKey, mapValue                  = 1, 2
	numberValue, stringValue, boolean = 2, 3, 4 // of google.protobuf.Value
	endStatus, endTime                = 1, 2    // of SessionEndInfo

	statusSuccess, statusFailure = 1, 2

	sessionStartTag = "_hparams_/session_start_info"
	sessionEndTag   = "_hparams_/session_end_info"
)

// notHParams are keys that change nothing of what is trained: they would differ between any two runs.
var notHParams = []string{"output_dir", "logging_dir", "model_name", "resume", "data.cache_dir"}

// startInfo is the Summary.Value with a configuration's scalars, nested ones as section.key. ok is false where there are none.
func startInfo(at time.Time, config any) (value []byte, ok bool, err error) {
	text, err := appendValue(nil, config)
	if err != nil {
		return nil, false, err
	}
	var settings map[string]any
	if json.Unmarshal(text, &settings) != nil { // a text: nothing to compare
		return nil, false, nil
	}
	scalars := map[string][]byte{}
	addScalars(scalars, "", settings)
	var start []byte
	for _, key := range slices.Sorted(maps.Keys(scalars)) {
		start = appendBytes(start, startHParams, appendBytes(appendBytes(nil, mapKey, key), mapValue, scalars[key]))
	}
	start = appendDouble(start, startTime, seconds(at))
	return hparamsValue(sessionStartTag, hparamsStart, start), len(scalars) > 0, nil
}

// addScalars collects numbers, booleans and strings as google.protobuf.Values.
func addScalars(scalars map[string][]byte, prefix string, settings map[string]any) {
	for key, value := range settings {
		name := prefix + key
		if slices.Contains(notHParams, name) || name == "monitoring" {
			continue
		}
		switch v := value.(type) {
		case float64:
			scalars[name] = appendDouble(nil, numberValue, v)
		case string:
			scalars[name] = appendBytes(nil, stringValue, v)
		case bool:
			scalars[name] = appendVarint(nil, boolean, protowire.EncodeBool(v))
		case map[string]any:
			addScalars(scalars, name+".", v)
		}
	}
}

// endInfo is the Summary.Value that says how a session ended.
func endInfo(at time.Time, complete bool) []byte {
	status := uint64(statusFailure)
	if complete {
		status = statusSuccess
	}
	return hparamsValue(sessionEndTag, hparamsEnd, appendDouble(appendVarint(nil, endStatus, status), endTime, seconds(at)))
}

// hparamsValue carries its content in the metadata, as the plugin wants it; the tensor is an empty one.
func hparamsValue(tag string, field protowire.Number, content []byte) []byte {
	tensor := appendVarint(nil, tensorDType, dtFloat)
	tensor = appendBytes(tensor, tensorShape, appendBytes(nil, shapeDim, "")) // one dimension of size 0
	plugin := appendBytes(appendBytes(nil, pluginName, "hparams"), pluginContent, appendBytes(nil, field, content))
	value := appendBytes(appendBytes(nil, valueTag, tag), valueTensor, tensor)
	return appendBytes(value, valueMeta, appendVarint(appendBytes(nil, metaPlugin, plugin), metaDataClass, dataClassTensor))
}
