"""What a person sees: no maths, no second way to do anything."""
