"use strict";

{
  const model = numbers.source.checkpoint || "a model";
  document.title = `Mistakes of ${model} on ${numbers.split}`;
  document.querySelector("h1").textContent = document.title;
  const [low, high] = numbers.ci95;
  element("summary").textContent = `${count(numbers.wrong)} of ${count(numbers.n)} faces are judged wrong: ${percent(numbers.error_rate, 2)} (95 %: ${percent(low, 2)} to ${percent(high, 2)})`;
}
