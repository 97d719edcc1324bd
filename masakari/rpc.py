"""The message bus: `EngineClient.recover(uuid)` is a hint to the engines, never the only word.

The database is the truth: a lost message costs one sweep period.
"""
