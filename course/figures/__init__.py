"""The chapters' figures, one module each. They draw; what they show is computed by functions the learner passes in."""
